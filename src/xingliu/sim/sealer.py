"""A Sealer without a secret: it binds the name in, and that is all a simulation needs."""

from xingliu.control.errors import CannotUnseal
from xingliu.control.ports import Sealer


class SimSealer(Sealer):
    def seal(self, name: str, plain: str) -> bytes:
        return f"{name}\0{plain}".encode()

    def unseal(self, name: str, sealed: bytes) -> str:
        bound, _, plain = sealed.decode().partition("\0")
        if bound != name:
            raise CannotUnseal(name)
        return plain

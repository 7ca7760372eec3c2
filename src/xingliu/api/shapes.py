"""What every wire shape has in common."""

from pydantic import BaseModel, ConfigDict


class In(BaseModel):
    """What a request may carry; a field that is not known is refused, for it was meant to do something."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    """What an answer carries."""

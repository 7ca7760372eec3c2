"""Signals by number and name: the Linux numbers, the same on every node whatever machine reads the record."""

NAMES = (
    "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM "
    "SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO "
    "SIGPWR SIGSYS"
).split()


def signal_name(number: int | None) -> str:
    """`SIGKILL` for 9; a number without a name as `signal 40`."""
    return NAMES[number - 1] if number and number <= len(NAMES) else f"signal {number}"

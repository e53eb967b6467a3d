"""How our processes and commands end, as numbers."""

#: Stopped on purpose, everything in hand answered; done.
OK = 0
#: A bug, a failing runtime, or memory that is short now: the pool starts a replacement. Of a command: refused.
FAILED = 1
#: As argparse has it.
USAGE = 2
#: The key store is down (EX_TEMPFAIL of sysexits.h).
STORE_DOWN = 75
#: Of a worker on a card, before it served: the next one is to run without recorded graphs, in full precision, or in
#: smaller batches.
WITHOUT_GRAPHS, IN_FULL, SMALLER = 76, 77, 79
#: Wrong settings or a model that cannot run here (EX_CONFIG): starting again would not help.
CONFIGURATION = 78

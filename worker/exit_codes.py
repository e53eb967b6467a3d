"""How a worker or its pool ends, as numbers; the launcher and the tests read them from here."""

#: Stopped on purpose, everything in hand answered.
OK = 0
#: A bug, a failing runtime, or memory that is short now; the pool starts a replacement.
FAILED = 1
#: Wrong settings or a model that cannot run here (EX_CONFIG of sysexits.h): starting again would not help.
CONFIGURATION = 78

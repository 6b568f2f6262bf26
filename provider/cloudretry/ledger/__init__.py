"""Once, whatever happens: who has fired which target, for whom, and whether a saved state holds it.

::

    asker.py     one run: who may be fired, and what is said of a fire
        |
    ledger.py    an append-only log for each place, read and written by many at once
        |    \\
    books.py  sessions.py    what the entries say; which process still lives
        |         |
    fires.py  store.py       a fire and its JSON; where entries are kept

legacy.py reads what version 0.1.0 left.
"""

from cloudretry.ledger.asker import Asker, Granted, can_be_taken_over, is_of_another_resource
from cloudretry.ledger.books import BY_HAND, Books
from cloudretry.ledger.fires import Ask, EntryTarget, Fire, TriggerMark, Word
from cloudretry.ledger.ledger import KEPT, Journal, Ledger
from cloudretry.ledger.legacy import OldRecords

__all__ = [
    "BY_HAND",
    "KEPT",
    "Ask",
    "Asker",
    "Books",
    "EntryTarget",
    "Fire",
    "Granted",
    "Journal",
    "Ledger",
    "OldRecords",
    "TriggerMark",
    "Word",
    "can_be_taken_over",
    "is_of_another_resource",
]

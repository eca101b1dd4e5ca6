"""One file that holds a search: written with checksums, and read without trust in whoever wrote it."""

from analysis.export.archive.container import Archive, open_archive, write_archive
from analysis.export.archive.contents import SEARCH, event_members, search_members
from analysis.export.archive.document import ArchiveDocument, LimitDifference, Member, SyntheticEvents

__all__ = [
    "SEARCH",
    "Archive",
    "ArchiveDocument",
    "LimitDifference",
    "Member",
    "SyntheticEvents",
    "event_members",
    "open_archive",
    "search_members",
    "write_archive",
]

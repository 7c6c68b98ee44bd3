"""The tables of the store: what they are, how they come about, how they are kept in order."""

from .migrate import Migration, SchemaError, migrate, migrations
from .upkeep import Upkeep

__all__ = ["Migration", "SchemaError", "Upkeep", "migrate", "migrations"]

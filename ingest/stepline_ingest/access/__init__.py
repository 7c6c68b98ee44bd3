"""Who may do what.

- `policy`: which scope each call needs.
- `key`: a key, its text and its digest.
- `key_tables`: keys in the store.
- `keyring`: the keys as this process knows them, a few seconds old at most.
- `guard`: from the key of a request to whose request it is, or to a refusal.
- `grpc_guard`, `http_guard`: the guard before every call of each port.
- `keys_service`: stepline.v1.Keys, which makes and revokes keys.
"""

from .guard import Guard, caller, project
from .key import Key, Scope
from .key_tables import KeyTables
from .keyring import KeyRing

__all__ = ["Guard", "Key", "KeyRing", "KeyTables", "Scope", "caller", "project"]

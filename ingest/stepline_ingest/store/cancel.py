"""Ending queries that nobody waits for any more."""

MARK = "insert_deduplication_token"
"""A query is known by this setting, a name that its caller gives it beforehand. It means nothing to
what only reads; log_comment would say more, but tells whose session it is (tenants.py)."""

CANCEL = f"KILL QUERY WHERE Settings['{MARK}'] = {{mark:String}} ASYNC"

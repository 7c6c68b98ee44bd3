"""Ending queries that nobody waits for any more."""

CANCEL = "KILL QUERY WHERE Settings['log_comment'] = {mark:String} ASYNC"
"""A query is known by its setting log_comment: a name that its caller can give it beforehand."""

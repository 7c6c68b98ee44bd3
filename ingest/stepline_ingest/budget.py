"""The bytes that streams may hold: received and not yet settled. In total, and for each tenant."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TypeAlias
from weakref import WeakValueDictionary

DEFAULT_TENANT = "default"

Waiting: TypeAlias = "tuple[int, asyncio.Future[None]]"
"""Bytes, and the turn that grants them."""


class Exhausted(Exception):
    """There is no room, and none is worth waiting for. The text says whose."""


class Budget:
    """A counted pool with a queue for each tenant.

    A stream asks for one batch at a time and reads no further until it has been served; with one
    place in the queue for each stream, a full pool is shared in turns, whatever the size of the
    batches. Nobody overtakes another stream of the tenant; tenants take turns, and nobody overtakes
    who has its turn and waits for room; only who has used up its own share is passed over. What
    waits is in memory too: when that is too much, or takes too long, the batch is refused before it
    is decoded. Not thread-safe: it lives on the event loop.
    """

    def __init__(
        self,
        total: int,
        *,
        per_tenant: int | None = None,
        max_waiting: int | None = None,
        patience: float | None = None,
    ) -> None:
        """Bytes held by all and by one tenant, bytes that may wait, seconds that they may."""
        self._total = total
        self._per_tenant = total if per_tenant is None else per_tenant
        self._max_waiting = max_waiting
        self._patience = patience
        self._used = 0
        self._waiting_bytes = 0
        self._accounts: WeakValueDictionary[str, Account] = WeakValueDictionary()
        self._in_line: OrderedDict[str, Account] = OrderedDict()

    @property
    def used(self) -> int:
        return self._used

    @property
    def waiting(self) -> int:
        """Streams that wait."""
        return sum(len(account.line) for account in self._in_line.values())

    def account(self, tenant: str = DEFAULT_TENANT) -> Account:
        """The share of TENANT."""
        account = self._accounts.get(tenant)
        if account is None:
            account = self._accounts[tenant] = Account(self, tenant)
        return account

    def _room_in_share(self, account: Account, amount: int) -> bool:
        """More than a whole share is granted to who holds nothing."""
        return account.used == 0 or account.used + amount <= self._per_tenant

    def _room_in_pool(self, amount: int) -> bool:
        """More than the whole pool is granted when nothing is held."""
        return self._used == 0 or self._used + amount <= self._total

    def _room_at_once(self, account: Account, amount: int) -> bool:
        """Nobody waits for room in the pool who would be overtaken."""
        return (
            not account.line
            and self._room_in_share(account, amount)
            and self._room_in_pool(amount)
            and not any(
                self._room_in_share(other, other.line[0][0]) for other in self._in_line.values()
            )
        )

    def _may_wait(self, amount: int) -> bool:
        return self._max_waiting is None or self._waiting_bytes + amount <= self._max_waiting

    def _change(self, account: Account, amount: int) -> None:
        account.used += amount
        self._used += amount

    def _serve(self) -> None:
        """Grants what fits, tenant after tenant."""
        held_up = 0
        while held_up < len(self._in_line):
            tenant, account = next(iter(self._in_line.items()))
            amount, turn = account.line[0]
            if turn.done():  # hung up in this turn of the loop
                account.leave_line(account.line[0])
                continue
            if not self._room_in_share(account, amount):
                held_up += 1
            elif not self._room_in_pool(amount):
                return
            else:
                account.leave_line(account.line[0])
                self._change(account, amount)
                turn.set_result(None)
                held_up = 0
            if tenant in self._in_line:
                self._in_line.move_to_end(tenant)


class Account:
    """What one tenant holds of a budget."""

    def __init__(self, budget: Budget, tenant: str) -> None:
        self._budget = budget
        self.tenant = tenant
        self.used = 0
        self.line: deque[Waiting] = deque()

    async def acquire(self, amount: int) -> None:
        """Takes AMOUNT, after all of this tenant who asked before. Raises Exhausted."""
        budget = self._budget
        if budget._room_at_once(self, amount):
            budget._change(self, amount)
            return
        if not budget._may_wait(amount):
            raise Exhausted(self._reason())
        loop = asyncio.get_running_loop()
        entry = (amount, loop.create_future())
        self._join_line(entry)
        timer = None
        if budget._patience is not None:
            timer = loop.call_later(budget._patience, self._refuse, entry)
        try:
            await entry[1]
        except asyncio.CancelledError:
            self._give_up(entry)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def adjust(self, change: int) -> None:
        """Corrects what is held, now that its true size is known. Never waits: the memory is in use
        already."""
        self._budget._change(self, change)
        if change < 0:
            self._budget._serve()

    def release(self, amount: int) -> None:
        self.adjust(-amount)

    def _reason(self) -> str:
        return (
            "the service holds as many bytes as it may"
            if self.used < self._budget._per_tenant
            else "the batches under way in this project hold as many bytes as they may"
        )

    def _join_line(self, entry: Waiting) -> None:
        self.line.append(entry)
        self._budget._waiting_bytes += entry[0]
        self._budget._in_line.setdefault(self.tenant, self)

    def leave_line(self, entry: Waiting) -> None:
        self.line.remove(entry)
        self._budget._waiting_bytes -= entry[0]
        if not self.line:
            del self._budget._in_line[self.tenant]

    def _refuse(self, entry: Waiting) -> None:
        """It has waited for too long."""
        if entry in self.line:
            self.leave_line(entry)
            if not entry[1].done():
                entry[1].set_exception(Exhausted(self._reason()))
            self._budget._serve()

    def _give_up(self, entry: Waiting) -> None:
        amount, turn = entry
        if entry in self.line:
            self.leave_line(entry)
            self._budget._serve()
        elif not turn.cancelled() and turn.exception() is None:
            self.release(amount)  # served and given up in the same turn of the loop

"""The configuration's file is edited while workers run: an alias is renamed, pointed at another account, or taken out.

Whoever starts from then on has the new file; the others are restarted one after the other. A person says where what
stands under the old alias belongs (`dialstock provider move`), or that its account is not used any more (`leave`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.config.file import Config
from tasks import orders
from tasks.accounts import identity
from tasks.accounts.stranded import homes_in

if TYPE_CHECKING:
    from tasks.runtime import Runtime
    from tests.simulation.world import World

RENAMED, REPOINTED, REMOVED = HOWS = ("renamed", "repointed", "removed")
SHARE = 0.5
"""The share of worlds whose file is edited, where there is a provider that says itself who its account is."""

POINTED = "pointed at another account"
"""What becomes of the file then, and nothing else; all are restarted at once, as something was released."""
_ACCOUNTS = {"signalwire": "project_id", "bird": "workspace_id"}
_OLD, _NEW, _OTHER = "", "-new", "-two"
_LOADING = "SELECT id FROM purchase_order WHERE status = 'loading' ORDER BY id"

_UNDER_IT = "SELECT id FROM purchase WHERE provider = ? ORDER BY id"
_UNDER_WAY = "SELECT 1 FROM purchase WHERE provider = ? AND status = ?"


def kind_of(alias: str) -> str:
    """The kind of an alias, whatever it is called by now."""
    return alias.removesuffix(_NEW)


def desk(kind: str, account: str) -> str:
    """Where an account buys, as judges call it: its kind, with a mark where it is the other account there."""
    return f"{kind}/two" if account.endswith(_OTHER) else kind


class Edits:
    """What becomes of the file of one world: `kind` is None where nothing does."""

    def __init__(self, world: World) -> None:
        rng = world.chance("edits")
        self._world, self._rng = world, rng
        self.done = self._before_it = False
        self.at_once = repoints = world.faults.happens(POINTED, about=())
        some = [kind for kind in world.kinds if kind in (*_ACCOUNTS, *(() if repoints else ("fluents",)))]
        chosen = bool(some) and (rng.random() < SHARE or world.faults.edited) and world.stocks.pool is None
        self.kind: str | None = rng.choice(some) if chosen else None
        hows = {RENAMED: True, REPOINTED: self.kind in _ACCOUNTS, REMOVED: len(world.kinds) > 1}
        self.how = REPOINTED if repoints else rng.choice([how for how, can_be in hows.items() if can_be])
        self._at = rng.choice((3.0, 6.0, 12.0))

    def left(self, desk: str) -> bool:
        """Whether the file has an account no more: what a database does not know of there is told by nobody."""
        return self.done and self.kind == desk and self.how != RENAMED

    @property
    def alias(self) -> str | None:
        """The alias after the edit."""
        return self.kind and self.kind + (_NEW if self.how == RENAMED else _OLD)

    def file(self, config: Config) -> Config:
        """What whoever starts now reads."""
        if not self.done or self.kind is None:
            return config
        one, others = config.providers[self.kind], {k: p for k, p in config.providers.items() if k != self.kind}
        if self.how == REMOVED:
            return config.model_copy(update={"providers": others})
        if self.how == REPOINTED:
            name = _ACCOUNTS[self.kind]
            one = one.model_copy(update={name: getattr(one, name) + _OTHER})
        else:
            one = one.model_copy()
            one._alias = str(self.alias)
        return config.model_copy(update={"providers": dict(sorted({**others, str(self.alias): one}.items()))})

    def deploy(self) -> None:
        """Edit the file, then restart everybody, one after the other."""
        self._world.clockwork.sleep(self._at)
        if self.kind is None or not self._world.faults.on:
            return
        self.done = True
        under = [row["id"] for row in self._world.judge.all(_UNDER_IT, self.kind)]
        self._world.faults.met(f"alias {self.how}", about=under)
        for number in range(len(self._world.staff.lives)):
            if number == 0 or not self.at_once:
                self._world.clockwork.sleep(self._rng.choice((0.1, 1.0, 3.0)))
                self._wait_for_a_call()
            life = self._world.staff.lives[number]
            self._world.clockwork.note(f"{life.name} is restarted with the new file")
            self._world.clockwork.kill(life)

    def _wait_for_a_call(self) -> None:
        """Mostly who is restarted has a call under way, or what was released: the worst moment for it."""
        under_way = self._rng.choice(("dispatched",) if self.at_once else ("purchasing", "purchasing", "dispatched"))
        for _ in range(self._rng.choice((100,) if self.at_once else (0, 100, 100))):
            if self._world.judge.one(_UNDER_WAY, self.kind, under_way):
                return
            self._world.clockwork.sleep(0.05)

    def restored(self) -> None:
        """The database went back: running processes may know the alias as another account than it does."""
        self._before_it = self.done and self.how == REPOINTED

    def settle(self) -> None:
        """What a person does about what stands under the old alias, and after a restore; repeatable at any point."""
        self._start_anew()
        runtime = self._world.staff.runtime
        if not self.done or self.kind is None or not self._has_new_file(runtime):
            return
        self._world.clockwork.note(f"a person says of {self.kind}: {self.how}")
        if self.how == RENAMED:
            identity.move(runtime, self.kind, homes_in(runtime.config)[str(self.alias)])
        else:
            identity.leave(runtime, self.kind)

    def _start_anew(self) -> None:
        if not self._before_it:
            return
        self._before_it = False
        me = self._world.clockwork.me
        assert me is not None
        self._world.clockwork.note("a person starts everybody anew, after a restore")
        for life in self._world.staff.lives:
            if life is not me.process:
                self._world.clockwork.kill(life)

    def _has_new_file(self, runtime: Runtime) -> bool:
        one = runtime.providers.get(str(self.alias))
        if self.how == REMOVED:
            return one is None
        return one is not None and (self.how == RENAMED or one.account.endswith(_OTHER))

    def give_up(self) -> None:
        """Cancel the orders that are still loading: who sends them names an alias that is gone."""
        if self.done:
            for (order_id,) in self._world.judge.all(_LOADING):
                orders.cancel(self._world.staff.runtime, order_id)

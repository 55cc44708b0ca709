"""Gateways before the providers that answer in their place, to looks and to purchases."""

from __future__ import annotations

import json
import random
import time

from tests.chaos.faults.blows import Blow
from tests.chaos.shop import ANSWERS
from tests.chaos.world import KINDS, World


def gateways(*answers: str) -> Blow:
    """Each provider is behind a gateway with one of these *answers* for some seconds."""

    def blow(world: World, rng: random.Random) -> str:
        said = {kind: rng.choice(answers) for kind in KINDS}
        seconds = 3.0 + rng.random() * 4
        file = world.folder / "gateways"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(said))
        fresh.rename(file)
        time.sleep(seconds)
        file.unlink()
        return f"gateways for {seconds:.1f} s: {', '.join(f'{kind} {one}' for kind, one in said.items())}"

    blow.__name__ = f"gateways_{'_'.join(answers)}"
    return blow


ALL = [gateways(answer) for answer in ANSWERS]
MIXED = gateways(*ANSWERS)

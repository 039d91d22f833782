"""Files keep the keys that they have had from the first release."""

from __future__ import annotations

from frostline.core.actions import Adapters, Blend, TapsHead


def test_alpha_is_called_strength_in_files() -> None:
    head = TapsHead(taps=["a"], alpha=0.5)
    kept = head.model_dump(mode="json")
    assert kept["strength"] == 0.5
    assert "alpha" not in kept
    assert TapsHead.model_validate(kept) == head
    blend = Blend(members=[head, head])
    assert blend.model_dump_json().count('"strength":0.5') == 2
    assert Blend.model_validate_json(blend.model_dump_json()) == blend
    # what low-rank adapters call so has always been called so
    assert Adapters(rank=2, alpha=4.0).model_dump() == {"rank": 2, "alpha": 4.0}

"""Step `ablation`: what augmentation, Muon and mean pooling are worth, each by one short training without it.

One seed, on validation images; the base is trained as long as the others. So this says what to look at, not what is
true: see the rules of evidence.
"""

from dataclasses import replace

from gpu.common import data_of, device_of, preset_of
from gpu.journal import Journal
from gpu.speed import PLAIN
from gpu.train import plan_for, train_one, with_epochs

VARIANTS = {
    "as it is": ({}, {}),
    "no augmentation": (PLAIN, {}),
    "AdamW for all": ({"optimizer": "adamw"}, {}),
    "class token, not mean": ({}, {"pool": "cls"}),
}
MOST_EPOCHS, FEWEST_EPOCHS = 40, 5


def run(settings: dict, journal: Journal) -> None:
    """Train the variants one after the other, all with the same number of epochs."""
    device, preset, data = device_of(settings), preset_of(settings), data_of(settings)
    config = replace(preset.training, device=device.type)
    plan = plan_for(preset, data, config, settings | {"seeds": list(VARIANTS)}, journal.left - 3)
    epochs = min(plan["epochs"], MOST_EPOCHS)
    journal.write(plan=plan | {"epochs": epochs})
    if epochs < min(FEWEST_EPOCHS, config.epochs):
        journal.write(words=f"there is time for {epochs} epochs each, which would say nothing")
        return
    for name, (changes, shape) in VARIANTS.items():
        variant = replace(with_epochs(config, epochs, compile=plan["compile"]), **changes)
        train_one(name, preset.model | shape, data, variant, journal)

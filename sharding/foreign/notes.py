"""What is no mistake for certain, and still worth a sentence: labels of one split that train does not have, and keys
that come again."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from tarn.sharding.foreign.labels import Label
from tarn.sharding.foreign.repeats import Shared
from tarn.sharding.foreign.samples import Samples

TRAIN = "train"
NAMED = 3  # labels


def label_notes(splits: Mapping[str, Sequence[Samples]], numbers: Mapping[Label, int]) -> Iterator[str]:
    """One for each split whose samples have classes that no sample of train has. numbers: of the classes, by label."""
    labels = {split: {label for samples in tars for label in samples.labels} for split, tars in splits.items()}
    if not labels.get(TRAIN):
        return
    trained = {numbers[label] for label in labels[TRAIN]}
    for split in sorted(splits.keys() - {TRAIN}):
        found = {numbers[label]: label for label in labels[split]}
        strange = [found[number] for number in sorted(found.keys() - trained)]
        if not strange:
            continue
        told = ", ".join(map(str, strange[:NAMED])) + (", ..." if len(strange) > NAMED else "")
        classes = f"{len(strange):,} {'class' if len(strange) == 1 else 'classes'} of {split} ({told})"
        verb = "is" if len(strange) == 1 else "are"
        if all(isinstance(label, int) for label in strange):
            spans = f"{TRAIN} has labels {span(trained)}, {split} {span(found)}"
            yield f"{classes} {verb} not in {TRAIN}; {spans}: make sure that both count from the same number"
        else:
            yield f"{classes} {verb} not in {TRAIN}: make sure that both name their classes alike"


def span(numbers: Collection[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low} to {high}" if low != high else str(low)


def repeat_note(split: str, names: Sequence[str], others: Shared) -> str:
    """names: of the split's tars."""
    first, second = (names[place] for place in others.tars)
    keys = f"{others.count:,} {'key' if others.count == 1 else 'keys'} of {split}"
    verb = "comes" if others.count == 1 else "come"
    return (
        f"{keys} {verb} again in another tar with another picture, first {others.key} in {first} and {second}: they "
        "are read as samples of their own"
    )

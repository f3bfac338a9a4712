"""A sample's members, in the bytes between the picture before its own and the one behind."""

from tarn.sharding.archives.headers import DamageError, shown
from tarn.sharding.foreign.reading import parted
from tarn.sharding.looking.members import parts_in
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Members


def members_of(raw: bytes, start: int, offset: int) -> tuple[str, Members]:
    """The key, as long as it is, and the members by ending, the picture too. raw: whole blocks of a tar from byte
    `start` on; offset: of the picture in the tar. What is cut off at the end is another sample's. Raises FieldError for
    what is no tar of its index."""
    try:
        parts = [part for part in parts_in(raw, start) if len(part.data) == part.size]
    except DamageError as error:
        raise FieldError(f"cannot be read, its tar is not the one of its index ({error}): verify it") from error
    key = next((parted(part.name)[0] for part in parts if part.offset == offset), None)
    if key is None:
        raise FieldError("cannot be read, its tar is not the one of its index: verify it")
    own = {ending: part.data for part in parts for stem, ending in [parted(part.name)] if stem == key and ending}
    return shown(key), own

"""What is wrong with a field: in a file of its own, for every worker imports it."""


class FieldError(ValueError):
    """What is wrong with a sample's field, as the end of the sentence `<key>: <field> ...`."""

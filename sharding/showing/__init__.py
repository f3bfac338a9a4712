"""Single samples for people: found, shown, taken out."""

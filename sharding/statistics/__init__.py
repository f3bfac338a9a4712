"""What a packed dataset holds: as text, as charts, as a page with some of its pictures."""

"""Every kind of source that an extract may come in, and the columns that a mapping makes of it."""

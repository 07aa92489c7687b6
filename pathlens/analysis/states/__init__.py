"""Filter states: which filters are always, sometimes or never on, for which images and classes."""

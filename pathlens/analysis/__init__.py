"""The analysis room: what paths say, computed from a recording alone, without torch."""

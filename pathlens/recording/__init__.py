"""The recording room: the narrow waist between networks and analyses."""

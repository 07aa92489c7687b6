"""The probing room: what needs the network again."""

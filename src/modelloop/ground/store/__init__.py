"""Facts and bytes: one database door, one blob door, the audit chain, and the Context that carries them."""

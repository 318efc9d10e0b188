"""Learning on Loihi's learning engine, as Lava models it."""

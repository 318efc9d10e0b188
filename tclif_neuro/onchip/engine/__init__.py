"""Learning on Loihi's stock learning engine, as Lava models it."""

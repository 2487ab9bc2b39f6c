"""How a run is told: to a person at a terminal, to a machine, and on a page for everybody."""

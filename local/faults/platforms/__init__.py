"""Small simulated platforms, which do only what the platforms document, at once and on the run's clock."""

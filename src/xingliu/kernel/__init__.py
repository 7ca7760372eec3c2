"""Ground: typed ids, units, resources, money, intervals, errors, the clock."""

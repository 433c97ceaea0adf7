"""How good predictions are: metrics, intervals, calibration, slices, comparison and the baseline."""

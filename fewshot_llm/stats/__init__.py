"""Statistics on arrays: calibration, metrics, intervals, conformal prediction. NumPy in, NumPy out, no text."""

"""What answers: a prompt with its scorer, support set and calibration, and what is read off it out of fold."""

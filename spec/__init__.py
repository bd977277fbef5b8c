"""Settings of detectors as validated data: the definitions that models, bundles and exports share."""

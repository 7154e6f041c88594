"""What answers of models must follow, and in which stages models are asked.

No prompt sets, which detectors and probes have too, and no parameters of decoding.
"""

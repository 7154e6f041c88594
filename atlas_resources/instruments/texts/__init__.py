"""What is asked of models that write, and how they write: decoding parameters, answers' JSON Schemas, stages.

No prompt sets, which detectors and probes have too.
"""

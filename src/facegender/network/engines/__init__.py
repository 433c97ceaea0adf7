"""Engines that run the frozen trunk: OpenVINO on a CPU, TensorFlow on a GPU."""

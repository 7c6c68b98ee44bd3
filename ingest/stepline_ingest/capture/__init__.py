"""What surrounds the points of a run: the context of its starts, and what its processes print."""

from stepline_ingest.capture.service import CaptureService
from stepline_ingest.capture.tables import CaptureTables

__all__ = ["CaptureService", "CaptureTables"]

"""Sends operations of a processing activity by OpenTelemetry's own exporter, which its environment sets up (OTEL_EXPORTER_OTLP_...).

usage: otlp.py ACTIVITY SUBJECT COUNT. Each operation stands within another one; all are sent twice, as after an answer that was lost. What came of
each sending is printed, and the ids of the operations.
"""

import sys

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

activity, subject, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
done = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(done))
tracer = provider.get_tracer("loans")
with tracer.start_as_current_span("GET /loans"):
    for _ in range(count):
        with tracer.start_as_current_span("lend") as span:
            span.set_attribute("dpl.core.processing_activity_id", activity)
            span.set_attribute("dpl.core.data_subject_id", subject)
            span.set_attribute("http.response.status_code", 200)
operations = [span for span in done.get_finished_spans() if span.name == "lend"]
exporter = OTLPSpanExporter()
for _ in range(2):
    print(exporter.export(operations).name)
for span in operations:
    print(format(span.context.trace_id, "032x"), format(span.context.span_id, "016x"), format(span.parent.span_id, "016x"))

// Writes one set of metrics in the three forms that targets expose it in, with the encoders
// of the Go client library: registry.txt, registry.om and registry.pb in the folder above.
//
//	go mod init generate
//	go get github.com/prometheus/client_golang@v1.22.0
//	go run . ..
package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	registry := prometheus.NewPedanticRegistry()
	start := time.UnixMilli(1700000000123)

	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "demo_requests_total", Help: "Requests, \"all\" of\nthem; a \\ too."}, []string{"method", "path"})
	requests.WithLabelValues("GET", "/").Add(12)
	requests.WithLabelValues("POST", "/a\"b\\c\nd").(prometheus.ExemplarAdder).AddWithExemplar(
		1.5, prometheus.Labels{"trace_id": "abc"})
	requests.WithLabelValues("", "/späte").Add(1e21)

	values := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "demo_value", Help: "Odd values (not -0, which the text encoder writes as 0)."}, []string{"of"})
	for name, value := range map[string]float64{"zero": 0,
		"inf": math.Inf(1), "minus_inf": math.Inf(-1), "nan": math.NaN(), "tiny": 5e-324,
		"huge": math.MaxFloat64, "third": 1.0 / 3, "million": 1e6, "big_integer": 9007199254740993} {
		values.WithLabelValues(name).Set(value)
	}

	sizes := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "demo_size_bytes", Help: "Sizes.",
		Buckets: []float64{0, 0.0001, 1, 100000, 1e6, 1e23}}, []string{"kind"})
	for _, size := range []float64{-3, 0.5, 7, 2e5, 1e9} {
		sizes.WithLabelValues("a").Observe(size)
	}
	sizes.WithLabelValues("b").(prometheus.ExemplarObserver).ObserveWithExemplar(42, prometheus.Labels{"id": "x"})
	sizes.WithLabelValues("empty")

	latency := prometheus.NewSummary(prometheus.SummaryOpts{Name: "demo_latency_seconds", Help: "Latency.",
		Objectives: map[float64]float64{0: 0, 0.5: 0, 0.99: 0, 1: 0}})
	for i := 0; i < 100; i++ {
		latency.Observe(float64(i) / 8)
	}

	untyped := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "demo_untyped"}, func() float64 { return 3 })

	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "demo_native_seconds", Help: "Native.",
		Buckets: []float64{0.1, 1, 10}, NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: 0.001})
	for _, value := range []float64{0, 0.01, 0.011, 0.5, 0.5, 8, -2} {
		native.Observe(value)
	}

	registry.MustRegister(requests, values, sizes, latency, untyped, native)
	families, err := registry.Gather()
	check(err)
	// The times of the clock would differ at every run.
	for _, family := range families {
		for _, metric := range family.Metric {
			if metric.Counter != nil {
				metric.Counter.CreatedTimestamp = timestamppb.New(start)
				if metric.Counter.Exemplar != nil {
					metric.Counter.Exemplar.Timestamp = timestamppb.New(start)
				}
			}
			if metric.Summary != nil {
				metric.Summary.CreatedTimestamp = timestamppb.New(start)
			}
			if metric.Histogram != nil {
				metric.Histogram.CreatedTimestamp = timestamppb.New(start)
				for _, bucket := range metric.Histogram.Bucket {
					if bucket.Exemplar != nil {
						bucket.Exemplar.Timestamp = timestamppb.New(start)
					}
				}
			}
			if family.GetName() == "demo_value" {
				time := int64(1700000001000)
				metric.TimestampMs = &time
			}
		}
	}
	write(families, "registry.txt", expfmt.NewFormat(expfmt.TypeTextPlain))
	write(families, "registry.om", expfmt.NewFormat(expfmt.TypeOpenMetrics))
	write(families, "registry.pb", expfmt.NewFormat(expfmt.TypeProtoDelim))
}

func write(families []*dto.MetricFamily, name string, format expfmt.Format) {
	var out bytes.Buffer
	encoder := expfmt.NewEncoder(&out, format.WithEscapingScheme(0))
	for _, family := range families {
		check(encoder.Encode(family))
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		check(closer.Close())
	}
	check(os.WriteFile(filepath.Join(os.Args[1], name), out.Bytes(), 0o644))
}

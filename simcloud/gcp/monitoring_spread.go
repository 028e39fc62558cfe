package gcp

import (
	"math"
	"slices"
	"time"

	distributionpb "google.golang.org/genproto/googleapis/api/distribution"
)

// Buckets of the services' distributions of milliseconds: exponential, as those of the load balancers. The numbers:
// assumption.
const (
	buckets      = 66
	bucketGrowth = 1.4
	bucketScale  = 1.0
)

// spread is a distribution of milliseconds. Bucket 0 lies below the scale, the last one is open above.
type spread struct {
	counts [buckets + 2]int64
	count  int64
	sum    float64
}

// newSpread makes a distribution of count values with a sum from some of them: the buckets get their share of the count.
func newSpread(seconds []float64, count int, sumSeconds float64) *spread {
	s := &spread{count: int64(count), sum: sumSeconds * 1000}
	sorted := slices.Sorted(slices.Values(seconds))
	given := int64(0)
	for i, v := range sorted {
		upTo := int64(i+1) * s.count / int64(len(sorted))
		s.counts[bucketOfValue(v*1000)] += upTo - given
		given = upTo
	}
	return s
}

func bucketOfValue(ms float64) int {
	if ms < bucketScale {
		return 0
	}
	return min(int(math.Log(ms/bucketScale)/math.Log(bucketGrowth))+1, buckets+1)
}

// lowerBound is where a bucket begins.
func lowerBound(bucket int) float64 {
	if bucket == 0 {
		return 0
	}
	return bucketScale * math.Pow(bucketGrowth, float64(bucket-1))
}

func (s *spread) add(o *spread) {
	for i, n := range o.counts {
		s.counts[i] += n
	}
	s.count, s.sum = s.count+o.count, s.sum+o.sum
}

// percentile estimates by the bucket that the value lies in, as if its values were spread evenly ("Percentiles for
// distribution-valued metrics" of Cloud Monitoring).
func (s *spread) percentile(p float64) float64 {
	left := p / 100 * float64(s.count)
	for i, n := range s.counts {
		if n > 0 && float64(n) >= left {
			low := lowerBound(i)
			if i > buckets {
				return low
			}
			return low + (lowerBound(i+1)-low)*left/float64(n)
		}
		left -= float64(n)
	}
	return 0
}

// message is the distribution without the empty buckets at its end.
func (s *spread) message() *distributionpb.Distribution {
	last := len(s.counts)
	for last > 0 && s.counts[last-1] == 0 {
		last--
	}
	out := &distributionpb.Distribution{
		Count: s.count, BucketCounts: slices.Clone(s.counts[:last]),
		BucketOptions: &distributionpb.Distribution_BucketOptions{Options: &distributionpb.Distribution_BucketOptions_ExponentialBuckets{
			ExponentialBuckets: &distributionpb.Distribution_BucketOptions_Exponential{NumFiniteBuckets: buckets, GrowthFactor: bucketGrowth, Scale: bucketScale},
		}},
	}
	if s.count > 0 {
		out.Mean = s.sum / float64(s.count)
	}
	return out
}

// What aligners and reducers make of points, of which there is at least one.

func sum(points []point, _ time.Duration) point {
	var out point
	for _, p := range points {
		out.number += p.number
		if p.spread != nil {
			if out.spread == nil {
				out.spread = &spread{}
			}
			out.spread.add(p.spread)
		}
	}
	return out
}

func rate(points []point, period time.Duration) point {
	return point{number: sum(points, period).number / period.Seconds()}
}

// mean is that of the numbers, or of all values of the distributions.
func mean(points []point, period time.Duration) point {
	all := sum(points, period)
	if all.spread != nil {
		return point{number: all.spread.sum / float64(max(all.spread.count, 1))}
	}
	return point{number: all.number / float64(len(points))}
}

func least(points []point, _ time.Duration) point { return point{number: slices.Min(numbers(points))} }

func greatest(points []point, _ time.Duration) point {
	return point{number: slices.Max(numbers(points))}
}

func count(points []point, _ time.Duration) point { return point{number: float64(len(points))} }

func percentile(p float64) summary {
	return func(points []point, period time.Duration) point {
		if all := sum(points, period); all.spread != nil {
			return point{number: all.spread.percentile(p)}
		}
		sorted := slices.Sorted(slices.Values(numbers(points)))
		at := p / 100 * float64(len(sorted)-1)
		low := int(at)
		high := min(low+1, len(sorted)-1)
		return point{number: sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))}
	}
}

func numbers(points []point) []float64 {
	out := make([]float64, len(points))
	for i, p := range points {
		out[i] = p.number
	}
	return out
}

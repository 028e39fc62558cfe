package simcloud

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// Image is a program that instances run: what it answers, how slowly it starts and how it fails.
type Image struct {
	// ID is the cloud's name for the image, unique in its region, such as "ami-0a1b2c3d4e5f60718".
	ID string `json:"id"`
	// Name is what people call it, such as "storefront-1.1".
	Name string `json:"name"`
	// Account and Region say where it can be used; empty means everywhere.
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	// Version is echoed by instances; Name when empty.
	Version string `json:"version,omitempty"`
	// BootDelay and BootJitter: an instance is running BootDelay plus a random part of BootJitter (simulated time)
	// after its launch.
	BootDelay  time.Duration `json:"bootDelay,omitempty"`
	BootJitter time.Duration `json:"bootJitter,omitempty"`
	// HealthAfter is how long /healthz answers 503 after the boot, in simulated time.
	HealthAfter time.Duration `json:"healthAfter,omitempty"`
	// ErrorRate is the share, from 0 to 1, of requests to / that are answered 500. Health checks are not affected.
	ErrorRate float64 `json:"errorRate,omitempty"`
	// Latency is added to requests to /, in real time.
	Latency time.Duration `json:"latency,omitempty"`
	// CrashAfter is when the program dies after its boot, in simulated time; 0 means never. The machine keeps running.
	CrashAfter time.Duration `json:"crashAfter,omitempty"`
	// NeverHealthy makes /healthz answer 503 for ever.
	NeverHealthy bool `json:"neverHealthy,omitempty"`
}

// Check reports the first field of i that makes no sense.
func (i Image) Check() error {
	switch {
	case i.Name == "":
		return errors.New("name: must not be empty")
	case i.ErrorRate < 0 || i.ErrorRate > 1:
		return fmt.Errorf("errorRate: must be from 0 to 1, not %v", i.ErrorRate)
	case i.BootDelay < 0 || i.BootJitter < 0 || i.HealthAfter < 0 || i.Latency < 0 || i.CrashAfter < 0:
		return errors.New("bootDelay, bootJitter, healthAfter, latency, crashAfter: must not be negative")
	}
	return nil
}

// Images is the registry of published images. The zero value is ready to use.
type Images struct {
	mu      sync.RWMutex
	byID    map[string]Image
	serials map[string]int
}

// Publish adds an image, or replaces the one with its ID: instances that run already keep what they run. An empty ID is
// derived from account, region and name, so that publishing the same name again replaces it.
func (r *Images) Publish(image Image) (Image, error) {
	if err := image.Check(); err != nil {
		return Image{}, err
	}
	if image.Version == "" {
		image.Version = image.Name
	}
	if image.ID == "" {
		sum := sha256.Sum256([]byte(image.Account + "/" + image.Region + "/" + image.Name))
		image.ID = "ami-" + hex.EncodeToString(sum[:])[:17]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID, r.serials = map[string]Image{}, map[string]int{}
	}
	if _, known := r.serials[image.ID]; !known {
		r.serials[image.ID] = len(r.serials) + 1
	}
	r.byID[image.ID] = image
	return image, nil
}

// Serial orders images by their first publication: the later, the greater. It is 0 for an unknown ID.
func (r *Images) Serial(id string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.serials[id]
}

// Image returns the image with this ID.
func (r *Images) Image(id string) (Image, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	image, ok := r.byID[id]
	return image, ok
}

// List returns the images usable in a region of an account, by name, then by ID. Empty arguments match everything.
func (r *Images) List(account, region string) []Image {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var images []Image
	for _, image := range r.byID {
		if usable(image.Account, account) && usable(image.Region, region) {
			images = append(images, image)
		}
	}
	sort.Slice(images, func(i, j int) bool {
		if images[i].Name != images[j].Name {
			return images[i].Name < images[j].Name
		}
		return images[i].ID < images[j].ID
	})
	return images
}

func usable(own, asked string) bool { return own == "" || asked == "" || own == asked }

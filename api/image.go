package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

const (
	// minImageQuery is how many characters of a query must be no wildcards, as in
	// Spinnaker: shorter ones match too much.
	minImageQuery = 3
	maxImageQuery = 200
	maxImageCount = 10_000
)

// findImages asks every region of every account of the provider that the query
// leaves. What cannot be read is an error, as it is for clusters.
func (s *Server) findImages(c *gin.Context) error {
	q := queryOf(c)
	provider, account, region := cmp.Or(q.text("provider"), "aws"), q.text("account"), q.text("region")
	pattern, limit := imagePattern(q), q.number("count", maxImageCount, maxImageCount)
	if err := q.err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), observeTimeout)
	defer cancel()
	var found []foundImage
	for _, a := range s.targets.Accounts() {
		if !a.Has(provider) || account != "" && account != a.Name {
			continue
		}
		for _, r := range a.Regions {
			if region != "" && region != r {
				continue
			}
			images, err := s.imagesIn(ctx, delivery.Cluster{Provider: provider, Account: a.Name, Region: r}, pattern, wantsAnew(c))
			if err != nil {
				return err
			}
			for _, image := range images {
				found = append(found, foundImage{image, a.Name, r})
			}
		}
	}
	out := presentImages(found, provider)
	return render(c, http.StatusOK, out[:min(limit, len(out))])
}

// getImage answers with a list of the one image of an id or of a whole name.
func (s *Server) getImage(c *gin.Context) error {
	q := queryOf(c)
	provider := cmp.Or(q.text("provider"), "aws")
	account, region, name := param(c, "account"), param(c, "region"), param(c, "image")
	if len(name) > maxImageQuery || strings.ContainsAny(name, "*?") {
		q.refuse("image", "in the path must be an image's id or whole name")
	}
	if err := q.err(); err != nil {
		return err
	}
	accounts := s.targets.Accounts()
	at := slices.IndexFunc(accounts, func(a delivery.Account) bool { return a.Name == account && a.Has(provider) && a.HasRegion(region) })
	if at < 0 {
		return missing(delivery.Errorf(delivery.NotFound, "account"), "Account", account)
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), observeTimeout)
	defer cancel()
	images, err := s.imagesIn(ctx, delivery.Cluster{Provider: provider, Account: account, Region: region}, name, wantsAnew(c))
	if err != nil {
		return err
	}
	var found []foundImage
	for _, image := range images {
		found = append(found, foundImage{image, account, region})
	}
	if len(found) == 0 {
		return missing(delivery.Errorf(delivery.NotFound, "image"), "Image", name)
	}
	return render(c, http.StatusOK, presentImages(found, provider))
}

// imagePattern makes "storefront" into "*storefront*", and leaves what has
// wildcards, and ids of AWS, as they are.
func imagePattern(q *query) string {
	text := q.text("q")
	plain := strings.NewReplacer("*", "", "?", "").Replace(text)
	switch {
	case utf8.RuneCountInString(plain) < minImageQuery:
		q.refuse("q", fmt.Sprintf("must have at least %d characters beside the wildcards", minImageQuery))
	case len(text) > maxImageQuery || strings.ContainsFunc(text, isControl) || !utf8.ValidString(text):
		q.refuse("q", fmt.Sprintf("must be text of at most %d bytes", maxImageQuery))
	}
	if plain != text || strings.HasPrefix(text, "ami-") {
		return text
	}
	return "*" + text + "*"
}

// imagesIn returns none for a target kind that finds no images.
func (s *Server) imagesIn(ctx context.Context, where delivery.Cluster, pattern string, anew bool) ([]delivery.Image, error) {
	target, err := s.targets.Target(where)
	if err != nil {
		return nil, err
	}
	finder, ok := target.(delivery.ImageFinder)
	if !ok {
		return nil, nil
	}
	key := strings.Join([]string{where.Provider, where.Account, where.Region, pattern}, " ")
	images, err := s.seenImages.get(ctx, key, anew, func(ctx context.Context) ([]delivery.Image, error) {
		return finder.Images(ctx, pattern)
	})
	for _, finding := range delivery.FindingsOf(err) {
		if finding.Pointer == "/pattern" {
			return nil, invalid("?q", fmt.Sprintf("%s in %s of account %s", finding.Message, where.Region, where.Account))
		}
	}
	return images, refusal(err, fmt.Sprintf("find images in %s of account %s", where.Region, where.Account))
}

// foundImage is an image and where it was found.
type foundImage struct {
	delivery.Image
	account, region string
}

// presentImages joins the images of one name in one account, the newest first.
func presentImages(found []foundImage, provider string) []v1.Image {
	slices.SortStableFunc(found, func(a, b foundImage) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.Name, b.Name), strings.Compare(a.account, b.account))
	})
	type key struct{ account, name string }
	at := map[key]int{}
	out := []v1.Image{}
	for _, image := range found {
		k := key{image.account, image.Name}
		if _, ok := at[k]; !ok {
			at[k] = len(out)
			out = append(out, newImage(image, provider))
		}
		joined := &out[at[k]]
		joined.AMIs[image.region] = append(joined.AMIs[image.region], image.ID)
		joined.TagsByImageID[image.ID] = tagsOf(image)
	}
	return out
}

// newImage has the tags and the date of the newest image of its name.
func newImage(image foundImage, provider string) v1.Image {
	out := v1.Image{ImageName: image.Name, Account: image.account, CloudProvider: provider, Tags: tagsOf(image),
		AMIs: map[string][]string{}, TagsByImageID: map[string]map[string]string{}}
	if !image.CreatedAt.IsZero() {
		out.Attributes.CreationDate = image.CreatedAt.UTC().Format(time.RFC3339)
	}
	return out
}

func tagsOf(image foundImage) map[string]string {
	if image.Tags == nil {
		return map[string]string{}
	}
	return image.Tags
}

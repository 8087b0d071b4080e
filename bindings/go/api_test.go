package filedb_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	filedb "example.com/filedb/bindings/go"
)

type description struct {
	Version   string
	Functions []struct{ Name string }
	Constants []struct {
		Name  string
		Value int
	}
}

func described(t *testing.T) (api description) {
	text, err := os.ReadFile("../api.json")
	ok(t, err)
	ok(t, json.Unmarshal(text, &api))
	return api
}

func source(t *testing.T, pattern string) string {
	files, err := filepath.Glob(pattern)
	ok(t, err)
	var all strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			text, err := os.ReadFile(file)
			ok(t, err)
			all.Write(text)
		}
	}
	return all.String()
}

func TestNoFunctionOfTheCAPIIsMissing(t *testing.T) {
	inGo, inShim := source(t, "*.go"), source(t, "shim.h")
	for _, function := range described(t).Functions {
		direct := regexp.MustCompile(`\bC\.` + function.Name + `\(`)
		inside := regexp.MustCompile(`(?m)^[^*\n]*\b` + function.Name + `\(`)
		shim := regexp.MustCompile(`\b(C\.)?shim_` + strings.TrimPrefix(function.Name, "filedb_") + `\(`)
		used := direct.MatchString(inGo)
		used = used || inside.MatchString(inShim) && len(shim.FindAllString(inShim+inGo, 3)) > 1
		if !used {
			t.Errorf("the Go binding does not use %s", function.Name)
		}
	}
}

func TestEveryStatusHasACode(t *testing.T) {
	text := source(t, "errors.go")
	for _, constant := range described(t).Constants {
		if strings.Contains(constant.Name, "_ERR_") && !strings.Contains(text, "C."+constant.Name+" ") {
			t.Errorf("the Go binding has no code for %s", constant.Name)
		}
	}
}

func TestVersionsAgree(t *testing.T) {
	var major, minor, patch uint32
	fmt.Sscanf(filedb.Version(), "%d.%d.%d", &major, &minor, &patch)
	same(t, filedb.VersionNumber(), major<<16|minor<<8|patch)
	same(t, strings.Split(described(t).Version, ".")[0], major)
}

func TestOptionsAreThoseOfTheLibrary(t *testing.T) {
	defaults := filedb.Options{}
	for _, option := range filedb.DescribeOptions() {
		// No default stands for no user, no password and no certificate.
		if option.Name == "" || option.Values == "" || option.Help == "" {
			t.Errorf("%+v", option)
		}
		defaults[option.Name] = option.Default
	}
	same(t, defaults["sync"], "interval")
	open(t, defaults)
}

// Verifies a tlog-tiles log with the packages of Go's checksum database, which share no code with the log.
//
//	tlog -vkey FILE [-at FILE] [-samples N] [-seed N] [-entries FILE] LOG [CHECKPOINT...]
//
// LOG is an http:// prefix or a folder. Every entry is compared with its authenticated hash, sampled entries are proven to be
// included, and the log must be consistent with, and still complete at, every older CHECKPOINT file. With -at the log is verified
// at the checkpoint in that file, and otherwise at the one it serves.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // of a tile: 256 hashes

// source reads the tiles of a log; it is a tlog.TileReader.
type source struct {
	prefix string
	tiles  map[tlog.Tile][]byte
}

func (s *source) get(path string) ([]byte, error) {
	if !strings.HasPrefix(s.prefix, "http") {
		return os.ReadFile(filepath.Join(s.prefix, path))
	}
	answer, err := http.Get(s.prefix + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, fs.ErrNotExist
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// tile reads a tile, or the full one when the partial one is gone. Go's paths have the height in them and other names.
func (s *source) tile(t tlog.Tile) ([]byte, error) {
	path := func(t tlog.Tile) string {
		return strings.Replace(strings.Replace(t.Path(), "tile/8/", "tile/", 1), "tile/data/", "tile/entries/", 1)
	}
	data, err := s.get(path(t))
	if errors.Is(err, fs.ErrNotExist) && t.W < 1<<height {
		full := t
		full.W = 1 << height
		data, err = s.get(path(full))
	}
	return data, err
}

func (s *source) Height() int { return height }

func (s *source) SaveTiles([]tlog.Tile, [][]byte) {}

func (s *source) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		data, known := s.tiles[t]
		if !known {
			var err error
			if data, err = s.tile(t); err != nil {
				return nil, err
			}
			if len(data) != t.W*tlog.HashSize && len(data) != tlog.HashSize<<height {
				return nil, fmt.Errorf("%s has %d bytes", t.Path(), len(data))
			}
			data = data[:t.W*tlog.HashSize]
			s.tiles[t] = data
		}
		all = append(all, data)
	}
	return all, nil
}

// bundle reads the entries of a tree beside its n-th level 0 tile.
func (s *source) bundle(tree tlog.Tree, n int64) (entries [][]byte, err error) {
	width := 1 << height
	if rest := tree.N - n<<height; rest < int64(width) {
		width = int(rest)
	}
	data, err := s.tile(tlog.Tile{H: height, L: -1, N: n, W: width})
	for err == nil && len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle %d ends inside entry %d", n, len(entries))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if err == nil && len(entries) != width && len(entries) != 1<<height {
		err = fmt.Errorf("bundle %d has %d entries instead of %d", n, len(entries), width)
	}
	if err != nil {
		return nil, err
	}
	return entries[:width], nil
}

func openCheckpoint(text []byte, verifier note.Verifier) (tree tlog.Tree, err error) {
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tree, errors.New("the checkpoint is of another log")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err == nil {
		tree.Hash, err = tlog.ParseHash(lines[2])
	}
	if empty, _ := tlog.ParseHash("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="); tree.N == 0 && err == nil && tree.Hash != empty {
		err = errors.New("the empty tree has another root")
	}
	return tree, err
}

// checkEntries compares all entries of the tree with its hashes.
func (s *source) checkEntries(tree tlog.Tree, visit func([]byte)) error {
	hashes := tlog.TileHashReader(tree, s)
	for n := int64(0); n<<height < tree.N; n++ {
		entries, err := s.bundle(tree, n)
		if err != nil {
			return err
		}
		indexes := make([]int64, len(entries))
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, n<<height+int64(i))
		}
		expected, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != expected[i] {
				return fmt.Errorf("entry %d is not the one in the tree", n<<height+int64(i))
			}
			visit(entry)
		}
	}
	return nil
}

// checkInclusion proves some entries, the first and the last among them.
func (s *source) checkInclusion(tree tlog.Tree, samples int, random *rand.Rand) (int, error) {
	picked := map[int64]bool{}
	if tree.N > 0 {
		picked[0], picked[tree.N-1] = true, true
	}
	for i := 0; i < samples && tree.N > 0; i++ {
		picked[random.Int63n(tree.N)] = true
	}
	for index := range picked {
		entries, err := s.bundle(tree, index>>height)
		if err != nil {
			return 0, err
		}
		proof, err := tlog.ProveRecord(tree.N, index, tlog.TileHashReader(tree, s))
		if err == nil {
			err = tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entries[index&(1<<height-1)]))
		}
		if err != nil {
			return 0, fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return len(picked), nil
}

func (s *source) checkConsistency(old, tree tlog.Tree) error {
	if old.N > tree.N {
		return fmt.Errorf("the log shrank from %d to %d", old.N, tree.N)
	}
	if old.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, old.N, tlog.TileHashReader(tree, s))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

func run(vkeyFile, at, entriesFile string, samples int, seed int64, log string, older []string) error {
	vkey, err := os.ReadFile(vkeyFile)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return err
	}
	s := &source{strings.TrimSuffix(log, "/"), map[tlog.Tile][]byte{}}
	text, err := s.get("checkpoint")
	if at != "" {
		text, err = os.ReadFile(at)
	}
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(text, verifier)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	var lines strings.Builder
	if err := s.checkEntries(tree, func(entry []byte) { lines.WriteString(hex.EncodeToString(entry) + "\n") }); err != nil {
		return err
	}
	random := rand.New(rand.NewSource(seed))
	included, err := s.checkInclusion(tree, samples, random)
	if err != nil {
		return err
	}
	sort.Strings(older)
	for _, file := range older {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		old, err := openCheckpoint(text, verifier)
		if err == nil {
			err = s.checkConsistency(old, tree)
		}
		if err == nil {
			_, err = s.checkInclusion(old, samples, random)
		}
		if err == nil && old.N <= 1000 {
			err = s.checkEntries(old, func([]byte) {})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if entriesFile != "" {
		if err := os.WriteFile(entriesFile, []byte(lines.String()), 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("size %d root %v entries %d included %d consistent %d\n", tree.N, tree.Hash, tree.N, included, len(older))
	return nil
}

func main() {
	vkeyFile := flag.String("vkey", "", "file of the verifier key")
	at := flag.String("at", "", "file of the checkpoint to verify the log at, instead of the one it serves")
	entriesFile := flag.String("entries", "", "where the verified entries are written, in hex, one per line")
	samples := flag.Int("samples", 20, "entries whose inclusion is proven")
	seed := flag.Int64("seed", 1, "of the samples")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*vkeyFile, *at, *entriesFile, *samples, *seed, flag.Arg(0), flag.Args()[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

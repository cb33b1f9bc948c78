//! The root under keys of a PKCS#11 token, on SoftHSM: erasures and restarts, keys that stay and keys that come back, PINs.
//!
//! SoftHSM reads where its tokens are from the environment of the process, so each test runs itself once more in a process of
//! its own, with a folder of its own.
#![cfg(feature = "pkcs11")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use usufruct_core::Digest;
use usufruct_core::hash::sha256;
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;
use usufruct_vault::keytree::{PageFile, PageTree};
use usufruct_vault::roots::{Disk, Pin, Root, RootSlots, TokenPlace, TokenRoots};
use usufruct_vault::{Epoch, Error, Key, KeyId, KeyTree, Result, SlotClass, commit_key};

const TOKEN: &str = "pass";
const PIN: &str = "483-7751-92";
/// Tells a process that it is the one which does the test.
const INSIDE: &str = "USUFRUCT_TEST_TOKEN_FOLDER";

struct Seeded(AtomicU64);

impl Rng for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = sha256(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

static RNG: Seeded = Seeded(AtomicU64::new(0));

/// A folder with tokens of SoftHSM in it, for the process this runs in.
struct Bench(PathBuf);

type Tree<R = TokenRoots> = PageTree<PageFile, R>;
/// The commitments of the keys that should live.
type Model = BTreeMap<KeyId, Digest>;

/// Does the test in a new process with a token of its own; `settings` are added to those of SoftHSM.
fn on_token(name: &str, settings: &str, test: impl FnOnce(&Bench)) {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return test(&Bench(folder.into()));
    }
    if module().is_none() {
        return eprintln!("skipped: SoftHSM is not there. `apt-get install softhsm2` brings it.");
    }
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("softhsm2.conf");
    fs::create_dir(dir.path().join("tokens")).unwrap();
    let tokens = dir.path().join("tokens");
    let text =
        format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n{settings}\n", tokens.display());
    fs::write(&conf, text).unwrap();
    add_token(&conf, TOKEN);
    let test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("token::{name}"), "--nocapture", "--test-threads=1"])
        .env("SOFTHSM2_CONF", &conf)
        .env(INSIDE, dir.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&test.stdout), String::from_utf8_lossy(&test.stderr));
    assert!(test.status.success() && said.contains("1 passed"), "{said}");
    for line in said.lines().filter(|line| line.starts_with("skipped")) {
        eprintln!("{line}");
    }
}

fn add_token(conf: &Path, label: &str) {
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "so-pin-of-tests"])
        .env("SOFTHSM2_CONF", conf)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn module() -> Option<PathBuf> {
    let named = std::env::var_os("USUFRUCT_SOFTHSM").map(PathBuf::from);
    let usual = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"];
    named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.exists())
}

impl Bench {
    fn place(&self, vault: &str) -> TokenPlace {
        TokenPlace {
            module: module().unwrap(),
            token: TOKEN.to_owned(),
            vault: vault.to_owned(),
            folder: self.0.join("vaults").join(vault),
        }
    }

    fn pin(&self, text: &str) -> Pin {
        let path = self.0.join("pin");
        fs::write(&path, format!("{text}\n")).unwrap();
        chmod(&path, 0o600);
        Pin::from_file(&path).unwrap()
    }

    fn create(&self, vault: &str) -> Result<TokenRoots> {
        TokenRoots::create(self.place(vault), self.pin(PIN), &Tree::<TokenRoots>::first_root(&RNG), Disk::Any, &RNG)
    }

    fn open(&self, vault: &str) -> Result<TokenRoots> {
        TokenRoots::open(self.place(vault), self.pin(PIN), Disk::Any)
    }

    fn new_tree(&self, vault: &str) -> Tree {
        let roots = self.create(vault).unwrap();
        PageTree::create(PageFile::open(&self.pages(vault)).unwrap(), roots, &RNG).unwrap()
    }

    fn tree(&self, vault: &str) -> Result<Tree> {
        PageTree::open(PageFile::open(&self.pages(vault)).unwrap(), self.open(vault)?)
    }

    fn pages(&self, vault: &str) -> PathBuf {
        self.0.join("pages").join(vault)
    }

    /// The folder SoftHSM keeps the only token in.
    fn token_folder(&self) -> PathBuf {
        fs::read_dir(self.0.join("tokens")).unwrap().map(|entry| entry.unwrap().path()).next().unwrap()
    }

    /// Everything that lies in the folder of the token and in that of the wrapped roots, for putting back.
    fn copy(&self, vault: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let folders = [self.token_folder(), self.place(vault).folder];
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
    }

    fn wrapped(&self, vault: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.place(vault).folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The labels on the token, as any other program sees them.
    fn labels(&self) -> Vec<String> {
        self.session(|session| {
            let mut labels = Vec::new();
            for handle in session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap() {
                labels.push(String::from_utf8(label_and_id(session, handle).0).unwrap());
            }
            labels.sort();
            labels
        })
    }

    fn session<T>(&self, act: impl FnOnce(&Session) -> T) -> T {
        let module = Pkcs11::new(module().unwrap()).unwrap();
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let slots = module.get_slots_with_initialized_token().unwrap();
        let slot = slots.into_iter().find(|slot| module.get_token_info(*slot).unwrap().label() == TOKEN).unwrap();
        let session = module.open_rw_session(slot).unwrap();
        session.login(UserType::User, Some(&AuthPin::from(PIN))).unwrap();
        let done = act(&session);
        session.close().unwrap();
        module.finalize().unwrap();
        done
    }
}

fn label_and_id(session: &Session, handle: ObjectHandle) -> (Vec<u8>, Vec<u8>) {
    match &session.get_attributes(handle, &[AttributeType::Label, AttributeType::Id]).unwrap()[..] {
        [Attribute::Label(label), Attribute::Id(id)] => (label.clone(), id.clone()),
        other => panic!("{other:?}"),
    }
}

fn label(vault: &str, epoch: u64) -> String {
    format!("usufruct/{vault}/{epoch}")
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Puts back those files that are gone.
fn put_back(files: &BTreeMap<PathBuf, Vec<u8>>, only: impl Fn(&Path) -> bool) {
    let gone = files.iter().filter(|(path, _)| !path.exists() && only(path)).collect::<Vec<_>>();
    assert!(!gone.is_empty());
    for (path, bytes) in gone {
        fs::write(path, bytes).unwrap();
    }
}

fn is_object(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "object" || extension == "lock")
}

fn insert<R: RootSlots>(tree: &Tree<R>, model: &mut Model, ids: impl IntoIterator<Item = u64>) {
    let keys: Vec<_> = ids.into_iter().map(|number| (KeyId::Resident(number), Key::random(&RNG))).collect();
    tree.insert(&keys, &RNG).unwrap();
    model.extend(keys.iter().map(|(id, key)| (*id, commit_key(*id, key))));
}

fn erase<R: RootSlots>(tree: &Tree<R>, model: &mut Model, number: u64) {
    tree.erase(&[KeyId::Resident(number)], &[], &RNG).unwrap();
    model.remove(&KeyId::Resident(number));
}

/// The tree holds these keys and no other of the first thousand.
fn check<R: RootSlots>(tree: &Tree<R>, model: &Model) {
    for id in (0..1_000).map(KeyId::Resident) {
        let found = tree.get(id).unwrap().map(|key| commit_key(id, &key));
        assert_eq!(found, model.get(&id).copied(), "{id:?}");
    }
    assert_eq!(tree.count(), model.len() as u64);
}

fn lives_through_erasures_and_restarts(bench: &Bench) {
    let (mut tree, mut model) = (bench.new_tree("city.test"), Model::new());
    assert_eq!(tree.class(), SlotClass::E0, "SoftHSM is files on a disk");
    assert_eq!(bench.labels(), [label("city.test", 0)]);
    for round in 0..4 {
        insert(&tree, &mut model, (0..40).map(|number| round * 100 + number));
        for number in 0..3 {
            let before = bench.copy("city.test");
            erase(&tree, &mut model, round * 100 + number);
            let epoch = round * 3 + number + 1;
            assert_eq!(tree.state().epoch, Epoch(epoch));
            assert_eq!(bench.labels(), [label("city.test", epoch)]);
            assert_eq!(bench.wrapped("city.test"), [format!("wrapped-{epoch}")]);
            assert!(before.keys().any(|path| !path.exists()), "SoftHSM has removed the old key");
        }
        check(&tree, &model);
        drop(tree);
        tree = bench.tree("city.test").unwrap();
        check(&tree, &model);
    }
}

#[test]
fn a_tree_lives_through_erasures_and_restarts() {
    on_token("a_tree_lives_through_erasures_and_restarts", "", lives_through_erasures_and_restarts);
}

#[test]
fn a_token_without_gcm_will_do() {
    on_token("a_token_without_gcm_will_do", "slots.mechanisms = CKM_AES_KEY_GEN,CKM_AES_CBC", |bench| {
        lives_through_erasures_and_restarts(bench);
        let file = fs::read(bench.place("city.test").folder.join("wrapped-12")).unwrap();
        assert_eq!((file[32], file.len()), (2, 33 + 32 + 48 + 32), "it says that it is wrapped the second way");
    });
}

#[test]
fn a_token_that_cannot_encrypt_is_refused() {
    let settings = "slots.mechanisms = CKM_AES_KEY_GEN,CKM_SHA256";
    on_token("a_token_that_cannot_encrypt_is_refused", settings, |bench| {
        let error = bench.create("city.test").err().unwrap().to_string();
        assert!(error.contains("neither AES-GCM nor AES-CBC"), "{error}");
    });
}

#[test]
fn old_copies_open_nothing() {
    on_token("old_copies_open_nothing", "", |bench| {
        let (tree, mut model) = (bench.new_tree("city.test"), Model::new());
        insert(&tree, &mut model, 0..10);
        let pages = fs::read_dir(bench.pages("city.test")).unwrap().map(|entry| entry.unwrap().path());
        let mut before: BTreeMap<_, _> = pages.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        before.extend(bench.copy("city.test").into_iter().filter(|(path, _)| !is_object(path)));
        erase(&tree, &mut model, 3);
        drop(tree);
        // Pages and wrapped root of the time before, and the token of today.
        for name in bench.wrapped("city.test") {
            fs::remove_file(bench.place("city.test").folder.join(name)).unwrap();
        }
        for (path, bytes) in before {
            fs::write(path, bytes).unwrap();
        }
        let error = bench.tree("city.test").err().unwrap();
        assert!(matches!(error, Error::Damaged { what } if what.contains("no key for the wrapped roots")), "{error}");
        assert_eq!(bench.labels(), [label("city.test", 1)], "nothing is destroyed for want of its root");
    });
}

/// Root slots whose token folder can be written until the moment of destroying.
struct Stuck {
    inner: TokenRoots,
    folder: PathBuf,
    is_stuck: AtomicBool,
}

impl RootSlots for Stuck {
    fn class(&self) -> SlotClass {
        self.inner.class()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.inner.roots()
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        self.inner.put(root, rng)
    }

    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        let is_stuck = self.is_stuck.load(Ordering::Relaxed);
        if is_stuck {
            assert!(freeze(&self.folder));
        }
        let done = self.inner.keep_only(epoch);
        if is_stuck {
            thaw(&self.folder);
        }
        done
    }

    fn statements(&self, epoch: Epoch) -> Result<Vec<Destroyed>> {
        self.inner.statements(epoch)
    }

    fn heal(&self) -> Result<()> {
        self.inner.heal()
    }
}

/// Nothing can be removed from the folder any more, not even by root. False when that cannot be had here.
fn freeze(folder: &Path) -> bool {
    chmod(folder, 0o555);
    let probe = folder.join("probe");
    let is_open = || fs::write(&probe, b"").is_ok_and(|()| fs::remove_file(&probe).is_ok());
    if is_open() {
        let _ = Command::new("chattr").arg("+i").arg(folder).output();
    }
    let is_frozen = !is_open();
    if !is_frozen {
        thaw(folder);
    }
    is_frozen
}

fn thaw(folder: &Path) {
    let _ = Command::new("chattr").arg("-i").arg(folder).output();
    chmod(folder, 0o700);
}

#[test]
fn a_key_that_stays_is_an_error_until_it_is_gone() {
    on_token("a_key_that_stays_is_an_error_until_it_is_gone", "", |bench| {
        let folder = bench.token_folder();
        if !freeze(&folder) {
            return eprintln!("skipped: no folder can be made read-only for this user here.");
        }
        thaw(&folder);
        let inner = bench.create("city.test").unwrap();
        let roots = Stuck { inner, folder, is_stuck: AtomicBool::new(false) };
        let tree = PageTree::create(PageFile::open(&bench.pages("city.test")).unwrap(), roots, &RNG).unwrap();
        let mut model = Model::new();
        insert(&tree, &mut model, 0..20);
        tree.roots().is_stuck.store(true, Ordering::Relaxed);
        let error = tree.erase(&[KeyId::Resident(7)], &[], &RNG).err().unwrap();
        assert!(matches!(error, Error::TokenKept { count: 1, .. }), "{error}");
        assert!(error.to_string().contains("C_DestroyObject answered FunctionFailed"), "{error}");
        assert_eq!(bench.labels(), [label("city.test", 0), label("city.test", 1)], "the key is still there");
        assert_eq!(bench.wrapped("city.test"), ["wrapped-1"], "what it wraps is not");
        // The new epoch counts, and nothing is written before the old key is gone.
        model.remove(&KeyId::Resident(7));
        check(&tree, &model);
        let error = tree.insert(&[(KeyId::Resident(900), Key::random(&RNG))], &RNG).err().unwrap();
        assert!(matches!(error, Error::TokenKept { .. }), "{error}");
        // Nor does a start come to an end.
        tree.roots().is_stuck.store(false, Ordering::Relaxed);
        drop(tree);
        assert!(freeze(&bench.token_folder()));
        let error = bench.tree("city.test").err();
        thaw(&bench.token_folder());
        assert!(matches!(error, Some(Error::TokenKept { .. })));
        let tree = bench.tree("city.test").unwrap();
        assert_eq!(bench.labels(), [label("city.test", 1)]);
        check(&tree, &model);
    });
}

#[test]
fn a_key_that_comes_back_is_destroyed_before_anything_is_served() {
    on_token("a_key_that_comes_back_is_destroyed_before_anything_is_served", "", |bench| {
        let (tree, mut model) = (bench.new_tree("city.test"), Model::new());
        insert(&tree, &mut model, 0..20);
        let old = bench.copy("city.test");
        erase(&tree, &mut model, 5);
        drop(tree);
        put_back(&old, |_| true);
        assert_eq!(bench.labels(), [label("city.test", 0), label("city.test", 1)]);
        let roots = bench.open("city.test").unwrap();
        let found: Vec<_> = roots.roots().unwrap().iter().map(|root| root.epoch).collect();
        assert_eq!(found, [Epoch(1), Epoch(0)], "both can be had, the highest first");
        drop(roots);
        let tree = bench.tree("city.test").unwrap();
        assert_eq!(bench.labels(), [label("city.test", 1)]);
        assert_eq!(bench.wrapped("city.test"), ["wrapped-1"]);
        check(&tree, &model);
        // The key alone, while the tree is open: the next erasure finds it.
        put_back(&old, is_object);
        assert_eq!(bench.labels(), [label("city.test", 0), label("city.test", 1)]);
        erase(&tree, &mut model, 6);
        assert_eq!(bench.labels(), [label("city.test", 2)]);
        check(&tree, &model);
    });
}

#[test]
fn a_crash_anywhere_leaves_one_root() {
    on_token("a_crash_anywhere_leaves_one_root", "", |bench| {
        let (mut tree, mut model) = (bench.new_tree("city.test"), Model::new());
        insert(&tree, &mut model, 0..20);
        let path = |name: &str| bench.place("city.test").folder.join(name);
        // A key was made and the root it was for not written, a draft of it was, or a part of it that no rename makes.
        for (name, torn) in [(None, false), (Some("wrapped.new"), false), (Some("wrapped-1"), true)] {
            tree.roots().put(&Root { epoch: Epoch(1), secret: Key::random(&RNG) }, &RNG).unwrap();
            let bytes = fs::read(path("wrapped-1")).unwrap();
            fs::remove_file(path("wrapped-1")).unwrap();
            if let Some(name) = name {
                fs::write(path(name), if torn { &bytes[..bytes.len() / 2] } else { &bytes }).unwrap();
            }
            drop(tree);
            assert_eq!(bench.labels().len(), 2);
            tree = bench.tree("city.test").unwrap();
            assert_eq!(bench.labels(), [label("city.test", 0)]);
            check(&tree, &model);
        }
        // The root is there, and no page under it.
        tree.roots().put(&Root { epoch: Epoch(1), secret: Key::random(&RNG) }, &RNG).unwrap();
        drop(tree);
        tree = bench.tree("city.test").unwrap();
        assert_eq!((bench.labels(), bench.wrapped("city.test")), (vec![label("city.test", 0)], vec!["wrapped-0".to_owned()]));
        check(&tree, &model);
        erase(&tree, &mut model, 1);
        check(&tree, &model);
    });
}

#[test]
fn of_two_roots_that_are_no_neighbours_the_older_one_goes_at_the_start() {
    on_token("of_two_roots_that_are_no_neighbours_the_older_one_goes_at_the_start", "", |bench| {
        let (tree, mut model) = (bench.new_tree("city.test"), Model::new());
        insert(&tree, &mut model, 0..20);
        let (old, old_pages) = (bench.copy("city.test"), fs::read(bench.pages("city.test").join("pages")).unwrap());
        (1..4).for_each(|number| erase(&tree, &mut model, number));
        drop(tree);
        let pages = fs::read(bench.pages("city.test").join("pages")).unwrap();
        let names = |epochs: &[u64]| epochs.iter().map(|epoch| format!("wrapped-{epoch}")).collect::<Vec<_>>();
        let labels = |epochs: &[u64]| epochs.iter().map(|epoch| label("city.test", *epoch)).collect::<Vec<_>>();
        // Key and wrapped root of epoch 0 are back, beside those of epoch 3.
        put_back(&old, |_| true);
        assert_eq!((bench.labels(), bench.wrapped("city.test")), (labels(&[0, 3]), names(&[0, 3])));
        let tree = bench.tree("city.test").unwrap();
        assert_eq!((bench.labels(), bench.wrapped("city.test")), (labels(&[3]), names(&[3])));
        assert_eq!(tree.state().epoch, Epoch(3));
        check(&tree, &model);
        drop(tree);
        // With the pages of then too, the old root would bring back what was erased, and the newer one would be what goes.
        put_back(&old, |_| true);
        fs::write(bench.pages("city.test").join("pages"), old_pages).unwrap();
        assert!(matches!(bench.tree("city.test"), Err(Error::Damaged { .. })));
        assert_eq!((bench.labels(), bench.wrapped("city.test")), (labels(&[0, 3]), names(&[0, 3])));
        fs::write(bench.pages("city.test").join("pages"), pages).unwrap();
        check(&bench.tree("city.test").unwrap(), &model);
        assert_eq!((bench.labels(), bench.wrapped("city.test")), (labels(&[3]), names(&[3])));
    });
}

#[test]
fn the_root_that_stays_must_be_there() {
    on_token("the_root_that_stays_must_be_there", "", |bench| {
        let roots = bench.create("city.test").unwrap();
        assert!(matches!(roots.keep_only(Epoch(1)), Err(Error::Damaged { .. })));
        assert_eq!(bench.labels(), [label("city.test", 0)]);
        // A root put a second time replaces the first, key and all.
        for secret in [Key::random(&RNG), Key::random(&RNG)] {
            let check = commit_key(KeyId::Resident(0), &secret);
            roots.put(&Root { epoch: Epoch(1), secret }, &RNG).unwrap();
            assert_eq!(commit_key(KeyId::Resident(0), &roots.roots().unwrap()[0].secret), check);
            assert_eq!(bench.labels(), [label("city.test", 0), label("city.test", 1)]);
        }
        roots.keep_only(Epoch(1)).unwrap();
        assert_eq!(bench.labels(), [label("city.test", 1)]);
        roots.keep_only(Epoch(1)).unwrap();
    });
}

#[test]
fn a_wrong_pin_is_refused_and_never_said() {
    on_token("a_wrong_pin_is_refused_and_never_said", "", |bench| {
        drop(bench.create("city.test").unwrap());
        let wrong = "483-7751-93";
        let error = TokenRoots::open(bench.place("city.test"), bench.pin(wrong), Disk::Any).err().unwrap();
        assert!(matches!(&error, Error::TokenPin { token, .. } if token == TOKEN), "{error}");
        assert!(!format!("{error} {error:?}").contains(wrong), "{error:?}");
        bench.open("city.test").unwrap();
    });
}

#[test]
fn a_missing_token_or_module_is_named() {
    on_token("a_missing_token_or_module_is_named", "", |bench| {
        let open = |place| TokenRoots::open(place, bench.pin(PIN), Disk::Any).err().unwrap();
        drop(bench.create("city.test").unwrap());
        let error = open(TokenPlace { token: "elsewhere".to_owned(), ..bench.place("city.test") });
        assert!(matches!(&error, Error::NoToken { token, found: 0 } if token == "elsewhere"), "{error}");
        for module in ["/nowhere/lib.so".into(), bench.0.join("softhsm2.conf")] {
            let error = open(TokenPlace { module, ..bench.place("city.test") });
            assert!(matches!(error, Error::Token { action: "load its module", .. }), "{error}");
        }
        let error = open(TokenPlace { folder: bench.0.join("nowhere"), ..bench.place("city.test") });
        assert!(matches!(error, Error::Io { .. }), "{error}");
        // Two of one name cannot be told apart.
        add_token(&bench.0.join("softhsm2.conf"), TOKEN);
        let error = bench.open("city.test").err().unwrap();
        assert!(matches!(error, Error::NoToken { found: 2, .. }), "{error}");
    });
}

#[test]
fn two_trees_on_one_token_leave_each_other_alone() {
    on_token("two_trees_on_one_token_leave_each_other_alone", "", |bench| {
        // Names that begin alike, and one that looks like another with an epoch.
        let names = ["city", "city/1", "city/1/x"];
        let trees = names.map(|name| bench.new_tree(name));
        let mut models = names.map(|_| Model::new());
        for round in 0..3 {
            for (tree, model) in trees.iter().zip(&mut models) {
                insert(tree, model, [round, round + 10]);
            }
            for (tree, model) in trees.iter().zip(&mut models).take(round as usize + 1) {
                erase(tree, model, round);
            }
            assert_eq!(bench.labels().len(), 3);
        }
        drop(trees);
        assert_eq!(bench.labels(), [label("city/1", 2), label("city/1/x", 1), label("city", 3)]);
        for (name, model) in names.iter().zip(&models) {
            check(&bench.tree(name).unwrap(), model);
        }
    });
}

#[test]
fn keys_and_folders_of_others_are_not_taken() {
    on_token("keys_and_folders_of_others_are_not_taken", "", |bench| {
        let roots = bench.create("city.test").unwrap();
        assert!(matches!(bench.open("city.test"), Err(Error::Locked)));
        drop(roots);
        assert!(matches!(bench.create("city.test"), Err(Error::FolderTaken)));
        let first = Tree::<TokenRoots>::first_root(&RNG);
        let elsewhere = || TokenPlace { folder: bench.0.join("other"), ..bench.place("city.test") };
        let error = TokenRoots::create(elsewhere(), bench.pin(PIN), &first, Disk::Any, &RNG).err().unwrap();
        assert!(matches!(&error, Error::TokenTaken { vault, .. } if vault == "city.test"), "{error}");
        let error = TokenRoots::open(elsewhere(), bench.pin(PIN), Disk::Any).unwrap().roots().err().unwrap();
        assert!(matches!(error, Error::Damaged { what } if what.contains("no root that they wrap")), "{error}");
        assert_eq!(bench.labels(), [label("city.test", 0)]);
    });
}

#[test]
fn a_key_that_was_brought_to_the_token_is_refused() {
    on_token("a_key_that_was_brought_to_the_token_is_refused", "", |bench| {
        let roots = bench.create("city.test").unwrap();
        bench.session(|session| {
            let [handle] = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap()[..] else { panic!() };
            let (label, id) = label_and_id(session, handle);
            assert!(session.get_attributes(handle, &[AttributeType::Value]).unwrap().is_empty(), "its value cannot be read");
            session.destroy_object(handle).unwrap();
            let brought = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::Value(vec![7; 32]),
                Attribute::Label(label),
                Attribute::Id(id),
                Attribute::Token(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Encrypt(true),
                Attribute::Decrypt(true),
            ];
            session.create_object(&brought).unwrap();
        });
        let error = roots.roots().err().unwrap();
        assert!(matches!(error, Error::TokenOpen { .. }), "{error}");
    });
}

#[test]
fn a_pin_comes_from_a_closed_file_or_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pin");
    let why = |path: &Path| Pin::from_file(path).err().unwrap().to_string();
    assert!(why(&path).contains("No such file"));
    fs::write(&path, PIN).unwrap();
    chmod(&path, 0o644);
    let said = why(&path);
    assert!(said.contains("everybody may read it") && !said.contains(PIN), "{said}");
    chmod(&path, 0o440);
    assert!(Pin::from_file(&path).is_ok());
    chmod(&path, 0o600);
    fs::write(&path, "\n").unwrap();
    assert!(why(&path).contains("empty"));
    fs::write(&path, [PIN.as_bytes(), b"\xff\n"].concat()).unwrap();
    let said = why(&path);
    assert!(!said.contains(PIN), "{said}");
    assert!(Pin::from_env("USUFRUCT_TEST_NO_SUCH_PIN").is_err());
    assert!(Pin::from_env("PATH").is_ok());
}

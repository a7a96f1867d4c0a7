//! A server of one file that misbehaves as told, and what [`fetch`](super::fetch) makes of it.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use super::*;

/// How the server answers one request.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Properly,
    /// From the start, whatever range was asked for.
    Whole,
    /// Closes the connection after so many bytes of the body.
    BreaksOff(usize),
    /// One wrong bit.
    Damaged,
    Status(&'static str),
    /// Claims another range.
    OtherRange,
}

struct Server {
    url: String,
    /// The `Range` header of each request.
    asked: Arc<Mutex<Vec<Option<String>>>>,
}

fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

/// Gives `answers` in turn, the last one for ever.
fn serve(answers: &'static [Answer]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file.gz", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    thread::spawn(move || {
        for (i, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let lines =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let range =
                lines.filter_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let range = range.last();
            seen.lock().unwrap().push(range.clone());
            let answer = answers[i.min(answers.len() - 1)];
            let mut body = content();
            let from = range.and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
            let from = from.filter(|_| answer != Answer::Whole);
            if answer == Answer::Damaged {
                body[150_000] ^= 1;
            }
            let head = match (answer, from) {
                (Answer::Status(status), _) => {
                    body.clear();
                    status.to_owned()
                }
                (_, Some(from)) if from >= body.len() => {
                    body.clear();
                    "416 Range Not Satisfiable".to_owned()
                }
                (_, Some(from)) => {
                    let claimed = from + usize::from(answer == Answer::OtherRange);
                    let head = format!("206 Partial Content\r\ncontent-range: bytes {claimed}-199999/200000");
                    body.drain(..from);
                    head
                }
                (_, None) => "200 OK".to_owned(),
            };
            let sent = if let Answer::BreaksOff(n) = answer { n.min(body.len()) } else { body.len() };
            let head =
                format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
        }
    });
    Server { url, asked }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("file.gz")
    }

    fn part(&self) -> PathBuf {
        self.0.path().join("file.gz.part")
    }

    fn fetch(&self, servers: &[&Server]) -> Result<(), String> {
        let urls: Vec<_> = servers.iter().map(|server| server.url.clone()).collect();
        let bytes = content();
        let sha256 = hex(&Sha256::digest(&bytes));
        fetch(&urls, bytes.len() as u64, &sha256, &self.path()).map_err(|error| error.to_string())
    }

    /// The file is there, right, and alone.
    fn is_done(&self) -> bool {
        fs::read(self.path()).is_ok_and(|bytes| bytes == content()) && !self.part().exists()
    }
}

fn ranges(server: &Server) -> Vec<Option<String>> {
    server.asked.lock().unwrap().clone()
}

#[test]
fn a_whole_file_comes_with_one_request_and_is_not_asked_for_again() {
    let (place, server) = (Place::new(), serve(&[Answer::Properly]));
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
    assert_eq!(ranges(&server), [None]);
}

#[test]
fn a_part_is_continued() {
    let (place, server) = (Place::new(), serve(&[Answer::Properly]));
    fs::write(place.part(), &content()[..70_000]).unwrap();
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
    assert_eq!(ranges(&server), [Some("70000-".into())]);
}

#[test]
fn a_server_that_cannot_continue_starts_over() {
    let (place, server) = (Place::new(), serve(&[Answer::Whole]));
    fs::write(place.part(), &content()[..70_000]).unwrap();
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
}

#[test]
fn a_broken_connection_is_taken_up_again() {
    let server = serve(&[Answer::BreaksOff(60_000), Answer::BreaksOff(1), Answer::Properly]);
    let place = Place::new();
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
    assert_eq!(ranges(&server), [None, Some("60000-".into()), Some("60001-".into())]);
}

#[test]
fn what_has_come_is_kept_when_the_server_goes_silent() {
    let (place, server) = (Place::new(), serve(&[Answer::BreaksOff(60_000), Answer::BreaksOff(0)]));
    let message = place.fetch(&[&server]).unwrap_err();
    assert!(message.contains("goes on where it stopped"), "{message}");
    assert_eq!(fs::read(place.part()).unwrap(), &content()[..60_000]);
    assert!(!place.path().exists());
    assert_eq!(ranges(&server).len(), 1 + FRUITLESS);
    place.fetch(&[&serve(&[Answer::Properly])]).unwrap();
    assert!(place.is_done());
}

#[test]
fn damage_is_told_deleted_and_fetched_from_the_next_mirror() {
    let (place, bad) = (Place::new(), serve(&[Answer::Damaged]));
    let message = place.fetch(&[&bad]).unwrap_err();
    assert!(message.contains("SHA-256") && message.contains("was deleted"), "{message}");
    assert!(!place.path().exists() && !place.part().exists());
    place.fetch(&[&bad, &serve(&[Answer::Properly])]).unwrap();
    assert!(place.is_done());
}

#[test]
fn a_damaged_part_costs_one_more_request_and_not_the_file() {
    let (place, server) = (Place::new(), serve(&[Answer::Properly]));
    fs::write(place.part(), vec![1; 70_000]).unwrap();
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
    assert_eq!(ranges(&server), [Some("70000-".into()), None]);
    let (place, server) = (Place::new(), serve(&[Answer::Properly]));
    fs::write(place.part(), vec![1; 300_000]).unwrap();
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
}

#[test]
fn a_wrong_range_is_not_glued_together() {
    let (place, server) = (Place::new(), serve(&[Answer::OtherRange, Answer::Properly]));
    fs::write(place.part(), &content()[..70_000]).unwrap();
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
    assert_eq!(ranges(&server), [Some("70000-".into()), None]);
}

#[test]
fn refusals_go_to_the_next_mirror_and_are_all_reported() {
    let gone = serve(&[Answer::Status("404 Not Found")]);
    let busy = serve(&[Answer::Status("503 Service Unavailable")]);
    let place = Place::new();
    let message = place.fetch(&[&gone, &busy]).unwrap_err();
    for word in ["404", "503", &gone.url, &busy.url, "file.gz", "yourself"] {
        assert!(message.contains(word), "{word} in {message}");
    }
    assert_eq!((ranges(&gone).len(), ranges(&busy).len()), (1, FRUITLESS));
    assert!(!place.part().exists());
    place.fetch(&[&gone, &serve(&[Answer::Properly])]).unwrap();
    assert!(place.is_done());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Server { url: format!("http://{closed}/file.gz"), asked: Default::default() };
    assert!(Place::new().fetch(&[&nobody]).unwrap_err().contains(&nobody.url));
}

#[test]
fn files_of_the_user_are_never_replaced() {
    let (place, server) = (Place::new(), serve(&[Answer::Properly]));
    fs::write(place.path(), "mine").unwrap();
    let message = place.fetch(&[&server]).unwrap_err();
    assert!(message.contains("not the original file") && message.contains("move it away"), "{message}");
    assert_eq!(fs::read(place.path()).unwrap(), b"mine");
}

#[test]
fn two_downloads_at_once_do_not_mix() {
    let (place, server) = (Place::new(), serve(&[Answer::Properly]));
    let held = File::create(place.part()).unwrap();
    held.lock().unwrap();
    assert!(place.fetch(&[&server]).unwrap_err().contains("another program"));
    drop(held);
    place.fetch(&[&server]).unwrap();
    assert!(place.is_done());
}

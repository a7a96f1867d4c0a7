use super::Point;

/// The lines of each capital letter on a grid of 4 x 6: points as pairs of digits, lines apart by spaces.
const LETTERS: [&str; 26] = [
    "002640 1333",
    "00063645443303 3342413000",
    "4536160501103041",
    "00062644422000",
    "40000646 0333",
    "000646 0333",
    "45361605011030414323",
    "0006 4046 0343",
    "2026",
    "4641301001",
    "0006 460340",
    "060040",
    "0006234640",
    "00064046",
    "160501103041453616",
    "00063645443303",
    "160501103041453616 2240",
    "00063645443303 2340",
    "453616050413334241301001",
    "2026 0646",
    "060110304146",
    "062046",
    "0610233046",
    "0046 0640",
    "062346 2320",
    "06460040",
];

/// The most letters that can still be read.
const MOST: usize = 8;

/// The lines of a word in the middle of the plane, about ten wide; `None` if it is no word of a few letters from A to Z.
pub fn lines(word: &str) -> Option<Vec<Vec<Point>>> {
    let letters: Vec<usize> = word
        .chars()
        .map(|letter| {
            letter.is_ascii_alphabetic().then(|| usize::from(letter.to_ascii_uppercase() as u8 - b'A'))
        })
        .collect::<Option<_>>()?;
    if !(1..=MOST).contains(&letters.len()) {
        return None;
    }
    let width = 5.0 * letters.len() as f64 - 1.0;
    let scale = f64::min(10.0 / width, 8.0 / 6.0);
    let lines_of = |(place, letter): (usize, &usize)| {
        let point = move |pair: &[u8]| {
            let [x, y] = [pair[0], pair[1]].map(|digit| f64::from(digit - b'0'));
            [scale * (5.0 * place as f64 + x - 0.5 * width), scale * (y - 3.0)]
        };
        let line = move |line: &'static str| line.as_bytes().chunks_exact(2).map(point).collect();
        LETTERS[*letter].split(' ').map(line)
    };
    Some(letters.iter().enumerate().flat_map(lines_of).collect())
}

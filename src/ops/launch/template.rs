//! The text of a kernel: `shaders/*.wgsl` are templates.
//!
//! `{{ name }}` becomes a value, `{{ a / b }}` and `{{ a % b }}` what that makes of two. The lines between `//#if NAME`
//! (or `//#if !NAME`) and `//#end` stay only where `NAME` is switched on (off). Those between `//#for i n` and `//#end` are repeated for `i` = 0 to
//! `n - 1`, `n` a number or a value's name: loops over registers must be unrolled in the text, because an array that is
//! indexed by a variable does not stay in registers. Blocks nest.

/// The program that `template` makes of these values and switches.
///
/// # Panics
/// If the template names a value that is not there: a mistake in the crate, which the tests find.
pub fn expand(template: &str, values: &[(&str, u32)], switches: &[&str]) -> String {
    let lines: Vec<&str> = template.lines().collect();
    let mut program = Program { lines: &lines, switches, values: values.to_vec(), text: String::new() };
    program.block(0, true);
    program.text
}

struct Program<'a> {
    lines: &'a [&'a str],
    switches: &'a [&'a str],
    values: Vec<(&'a str, u32)>,
    text: String,
}

impl<'a> Program<'a> {
    /// Expands the lines from `at` to the `//#end` of their block, whose place it returns.
    fn block(&mut self, mut at: usize, live: bool) -> usize {
        while let Some(&line) = self.lines.get(at) {
            let mut words = line.split_whitespace();
            match [words.next(), words.next(), words.next()] {
                [Some("//#end"), ..] => return at,
                [Some("//#if"), Some(name), _] => {
                    let wanted = !name.starts_with('!');
                    let on = self.switches.contains(&name.trim_start_matches('!'));
                    at = self.block(at + 1, live && on == wanted);
                }
                [Some("//#for"), Some(index), Some(count)] => {
                    let count = if live { count.parse().unwrap_or_else(|_| self.value(count)) } else { 0 };
                    let mut end = None;
                    for i in 0..count {
                        self.values.push((index, i));
                        end = Some(self.block(at + 1, live));
                        self.values.pop();
                    }
                    at = end.unwrap_or_else(|| self.block(at + 1, false));
                }
                _ if live => self.line(line),
                _ => {}
            }
            at += 1;
        }
        at
    }

    fn line(&mut self, mut line: &'a str) {
        while let Some((before, (name, after))) =
            line.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
        {
            let words: Vec<&str> = name.split_whitespace().collect();
            let value = match words[..] {
                [a, "/", b] => self.value(a) / self.value(b),
                [a, "%", b] => self.value(a) % self.value(b),
                _ => self.value(name.trim()),
            };
            self.text += &format!("{before}{value}");
            line = after;
        }
        self.text += line;
        self.text.push('\n');
    }

    fn value(&self, name: &str) -> u32 {
        let found = self.values.iter().rev().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("the template names {name}, which has no value")).1
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn blocks_nest() {
        let template = "\
            a {{ x }}{{ y }}\n\
            //#if ON\n\
            //#for i n\n\
            //#if !OFF\n\
            b {{ i }} of {{ n }}\n\
            //#end\n\
            //#end\n\
            //#end\n\
            //#if OFF\n\
            //#for i missing\n\
            c {{ missing }}\n\
            //#end\n\
            //#end\n\
            //#for j 1\n\
            d {{ y / n }}{{ j % n }}{{ x % y }}\n\
            //#end";
        let values = [("x", 1), ("y", 2), ("n", 2)];
        assert_eq!(expand(template, &values, &["ON"]), "a 12\nb 0 of 2\nb 1 of 2\nd 101\n");
        assert_eq!(expand(template, &values, &[]), "a 12\nd 101\n");
    }
}

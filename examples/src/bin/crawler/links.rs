//! The links of a page.

use html5gum::{DefaultEmitter, Token, Tokenizer};
use url::Url;

/// Where a page leads, as it says it: in the order of its text, relative ones resolved, fragments cut off.
pub(crate) fn links(page: &Url, html: &[u8]) -> Vec<Url> {
    let (mut base, mut found) = (page.clone(), Vec::new());
    // What is in a script or a style is text.
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(Token::StartTag(tag)) = token else { continue };
        let attribute = match &tag.name[..] {
            b"a" | b"area" | b"link" | b"base" => b"href".as_slice(),
            b"frame" | b"iframe" => b"src",
            _ => continue,
        };
        let Some(value) = tag.attributes.get(attribute) else { continue };
        let Ok(mut url) = base.join(String::from_utf8_lossy(value).trim()) else { continue };
        if &tag.name[..] == b"base" {
            base = url;
            continue;
        }
        url.set_fragment(None);
        found.push(url);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::links;
    use url::Url;

    fn found(html: &str) -> Vec<String> {
        let page = Url::parse("http://host/dir/page.html").unwrap();
        links(&page, html.as_bytes()).into_iter().map(String::from).collect()
    }

    #[test]
    fn links_are_found_where_they_are_links() {
        let html = r#"<!-- <a href=no> --><a href="one">1</a><A HREF='/two?x=1&amp;y=2#part'>2</A>
            <link rel=next href=../three><img src=no><script>"<a href=no>"</script><a name=no><iframe src=//other/four></iframe>
            <a href="http://[no">broken</a><a href="mailto:me">mail</a>"#;
        let expected = [
            "http://host/dir/one",
            "http://host/two?x=1&y=2",
            "http://host/three",
            "http://other/four",
            "mailto:me",
        ];
        assert_eq!(found(html), expected);
    }

    #[test]
    fn a_base_holds_from_there_on() {
        let html = "<a href=a><base href=http://else/x/><a href=b>";
        assert_eq!(found(html), ["http://host/dir/a", "http://else/x/b"]);
    }
}

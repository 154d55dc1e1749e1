//go:build ignore

// Answers what Go's text/template makes of the templates in templates.yaml; see regenerate_templates.py. Not needed by the tests.
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"text/template"
)

type question struct {
	Scope     map[string]any
	Templates []string
}

type answer struct {
	Text      *string `json:"text,omitempty"`
	Parsing   string  `json:"parsing,omitempty"`
	Execution string  `json:"execution,omitempty"`
}

func functions(scope map[string]any) template.FuncMap {
	found := template.FuncMap{}
	for name, value := range scope {
		switch value := value.(type) {
		case string:
			found[name] = func() string { return value }
		case map[string]any:
			texts := map[string]string{}
			for key, text := range value {
				texts[key] = text.(string)
			}
			found[name] = func() map[string]string { return texts }
		}
	}
	return found
}

func render(text string, scope map[string]any) answer {
	parsed, err := template.New("query").Funcs(functions(scope)).Option("missingkey=error").Parse(text)
	if err != nil {
		return answer{Parsing: err.Error()}
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, nil); err != nil {
		return answer{Execution: err.Error()}
	}
	rendered := out.String()
	return answer{Text: &rendered}
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := []answer{}
	for _, text := range asked.Templates {
		answers = append(answers, render(text, asked.Scope))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}

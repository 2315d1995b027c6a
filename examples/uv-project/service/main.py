import greetings

print(greetings.greet("octocat"))
